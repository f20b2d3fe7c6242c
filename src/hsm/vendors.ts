/** What differs between the HSMs of vendors, by the PKCS#11 library through which they are reached. */

interface VendorRow {
  /** Matches the path of the library. */
  library: RegExp;
  /** Whether keys can be wrapped with RSA-OAEP only. */
  oaepOnly: boolean;
  source: string;
}

const VENDORS: readonly VendorRow[] = [
  {
    library: /nfast/i,
    oaepOnly: true,
    source: 'nShield (Entrust): FreeIPA sets pki_use_oaep_rsa_keywrap for paths with nfast; Dogtag b9ec2fb0a',
  },
];

/** Whether the HSM behind a library wraps keys with RSA-OAEP only. */
export function needsOaep(libraryPath: string): boolean {
  return VENDORS.some(({ library, oaepOnly }) => oaepOnly && library.test(libraryPath));
}
