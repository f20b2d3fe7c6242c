#!/usr/bin/python
# Copyright: the Capstan authors
# Apache License 2.0 (see LICENSE)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: server_install
short_description: Build the first server of a cluster
version_added: 1.0.0
description:
  - Runs C(capstan server-install), which builds a directory and a certificate authority whose keys are made on the token of an HSM.
  - Does nothing on a host with a server. A run that did not come to its end is resumed.
  - In check mode everything is looked at, the token as well, and nothing is changed.
options:
  hostname:
    description: Fully qualified name of the host. The system's own unless given.
    type: str
  domain:
    description: The domain, which gives the directory's suffix.
    type: str
  realm:
    description: The realm, which stands in the subjects of certificates.
    type: str
  ds_password:
    description: The password that the Directory Manager gets.
    type: str
    required: true
  admin_password:
    description: The password that the administrator of the CA gets.
    type: str
    required: true
  token_name:
    description: The label of the token.
    type: str
    required: true
  token_library_path:
    description: The PKCS#11 library of the HSM.
    type: path
    required: true
  token_password:
    description: The user PIN of the token.
    type: str
    required: true
  setup_kra:
    description: Whether it gets a KRA in the same run.
    type: bool
    default: false
  ca_subject:
    description: The subject of the CA.
    type: str
  subject_base:
    description: What the subjects of all certificates end in.
    type: str
  key_size:
    description: The size in bits of the CA's key.
    type: int
    choices: [2048, 3072, 4096]
  pki_config_override:
    description: A file on the host with further parameters for pkispawn.
    type: path
extends_documentation_fragment:
  - capstan.cluster.common.over_stdin
author:
  - The Capstan authors (@capstan)
"""

EXAMPLES = r"""
- name: Build the first server
  capstan.cluster.server_install:
    realm: EXAMPLE.TEST
    domain: example.test
    token_name: HSM
    token_library_path: /usr/lib/vendor/libvendor-pkcs11.so
    token_password: "{{ capstan_token_password }}"
    ds_password: "{{ ipadm_password }}"
    admin_password: "{{ ipaadmin_password }}"
"""

RETURN = r"""
code:
  description: Where the module failed, the code of the error, a stable name in kebab case.
  returned: failure
  type: str
  sample: token-not-found
failures:
  description: Every single refusal, where several checks found something.
  returned: failure
  type: list
  elements: dict
steps:
  description: The steps that were taken, with their seconds, and whether each changed something.
  returned: always
  type: list
  elements: dict
facts:
  description: What was built and where.
  returned: success
  type: list
  elements: dict
next:
  description: What to do next, in sentences.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.capstan.cluster.plugins.module_utils.capstan import (
    Installation,
    options_of,
)

WORDS = ["hostname", "domain", "realm", "token_name", "token_library_path"]
WORDS += ["setup_kra", "ca_subject", "subject_base", "key_size", "pki_config_override"]


def main():
    module = AnsibleModule(
        argument_spec=dict(
            hostname=dict(type="str"),
            domain=dict(type="str"),
            realm=dict(type="str"),
            ds_password=dict(type="str", required=True, no_log=True),
            admin_password=dict(type="str", required=True, no_log=True),
            token_name=dict(type="str", required=True),
            token_library_path=dict(type="path", required=True),
            token_password=dict(type="str", required=True, no_log=True),
            setup_kra=dict(type="bool", default=False),
            ca_subject=dict(type="str"),
            subject_base=dict(type="str"),
            key_size=dict(type="int", choices=[2048, 3072, 4096], no_log=False),
            pki_config_override=dict(type="path"),
            deadlines=dict(type="dict", default={}),
        ),
        supports_check_mode=True,
    )
    params = module.params
    secrets = {
        "ds-password": params["ds_password"],
        "admin-password": params["admin_password"],
        "token-password": params["token_password"],
    }
    realm = params["realm"]

    def is_there(here):
        if realm is not None and here["realm"] != realm:
            module.fail_json(msg="This host has a server of another realm, %s." % here["realm"], code="realm-differs")
        return True

    Installation(module, "server-install", is_there).run(options_of(params, WORDS), secrets)


if __name__ == "__main__":
    main()
