"""Reads deployment configurations by the procedure of pkispawn 10.10.2 and tells what it would see.

Standard input: JSON {"pkispawn": [text, ...], "raw": [text, ...]}. Standard output: JSON with an answer for each
text. "pkispawn": {"values": merged parameters, "raw": by section, as RawConfigParser sees them} or {"error": ...}.
"raw": {"sections": by section, keys kept in their case} or {"error": ...}.
"""
import configparser
import fileinput
import json
import os
import sys
import tempfile

ESCAPED_AFTER_READING = """
    pki_admin_password pki_backup_password pki_client_database_password pki_client_pin pki_client_pkcs12_password
    pki_clone_pkcs12_password pki_ds_password pki_one_time_pin pki_pin pki_replication_password
    pki_security_domain_password pki_server_database_password pki_server_pkcs12_password pki_token_password
""".split()

# A little of default.cfg: keys that its own sections define, so that precedence and fallback are in play.
DEFAULTS = """
[DEFAULT]
pki_token_password=
pki_ds_password=
pki_sslserver_token=%(pki_instance_name)s
[Tomcat]
pki_clone_pkcs12_password=
pki_clone=False
[CA]
pki_admin_name=%(pki_admin_uid)s
pki_admin_uid=caadmin
[KRA]
[OCSP]
[TKS]
[TPS]
"""


def trim_lines(path):
    """pkispawn rewrites the file first: every line without the blanks at its ends."""
    with fileinput.FileInput(path, inplace=True) as lines:
        for line in lines:
            print(line.strip())


def double_percent(parser):
    for section in parser.sections() + ['DEFAULT']:
        for key in ESCAPED_AFTER_READING:
            if parser.has_option(section, key):
                value = parser.get(section, key, raw=True)
                if value:
                    parser.set(section, key, value.replace('%', '%%'))


def sections_of(parser):
    own = {name: dict(parser._sections[name]) for name in parser.sections()}
    return {'DEFAULT': dict(parser.defaults()), **own}


def as_pkispawn(path):
    trim_lines(path)
    configparser.RawConfigParser().read(path)
    parser = configparser.ConfigParser({'pki_instance_name': 'pki-tomcat'})
    parser.optionxform = str
    parser.read_string(DEFAULTS)
    parser.read(path)
    double_percent(parser)
    merged = {}
    for section in ('DEFAULT', 'Tomcat', 'CA'):
        merged.update(parser.items(section))
    raw = configparser.RawConfigParser()
    raw.optionxform = str
    raw.read(path)
    return {'values': merged, 'raw': sections_of(raw)}


def as_raw(path):
    parser = configparser.RawConfigParser()
    parser.optionxform = str
    parser.read(path)
    return {'sections': sections_of(parser)}


def answer(reader, text, path):
    with open(path, 'w', newline='', encoding='utf-8') as file:
        file.write(text)
    try:
        return reader(path)
    except (configparser.Error, ValueError) as error:
        return {'error': type(error).__name__}


def main():
    asked = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'deployment.cfg')
        json.dump({
            'pkispawn': [answer(as_pkispawn, text, path) for text in asked.get('pkispawn', [])],
            'raw': [answer(as_raw, text, path) for text in asked.get('raw', [])],
        }, sys.stdout)


main()
