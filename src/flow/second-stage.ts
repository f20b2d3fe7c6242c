/** The command by which an installation goes on whose CA another authority has signed. */
export function secondStage(): string {
  return 'capstan server-install --external-cert-file CERTIFICATE --external-cert-file CHAIN';
}
