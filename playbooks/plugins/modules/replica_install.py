#!/usr/bin/python
# Copyright: the Capstan authors
# Apache License 2.0 (see LICENSE)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: replica_install
short_description: Make a host another server of a cluster
version_added: 1.0.0
description:
  - Runs C(capstan replica-install), which joins a server of the cluster. The token is found by the cluster's HSM record.
  - Does nothing on a host with a server. A run that did not come to its end is resumed.
  - In check mode everything is looked at and nothing is changed; without a join secret with I(ds_password), the Directory
    Manager's of the cluster. Where there is no server to join yet, in check mode only, it is told that there would be a change.
options:
  server:
    description: Fully qualified name of the server that is joined.
    type: str
  ca_fingerprint:
    description: The fingerprint of the cluster's CA certificate, as M(capstan.cluster.replica_prepare) tells it.
    type: str
  hostname:
    description: Fully qualified name of the host. The system's own unless given.
    type: str
  join_secret:
    description: The secret that lets the host join, from M(capstan.cluster.replica_prepare).
    type: str
  ds_password:
    description: The password of the Directory Manager.
    type: str
    required: true
  token_password:
    description: The user PIN of the token.
    type: str
  token_library_path:
    description: The PKCS#11 library, where it lies elsewhere than the cluster's record says.
    type: path
  setup_ca:
    description: Whether it gets a clone of the CA.
    type: bool
    default: true
  setup_kra:
    description: Whether it gets a KRA in the same run.
    type: bool
    default: false
extends_documentation_fragment:
  - capstan.cluster.common.over_stdin
author:
  - The Capstan authors (@capstan)
"""

EXAMPLES = r"""
- name: Build a replica
  capstan.cluster.replica_install:
    server: "{{ join.server }}"
    ca_fingerprint: "{{ join.fingerprint }}"
    join_secret: "{{ join.join_secret }}"
    ds_password: "{{ ipadm_password }}"
    token_password: "{{ capstan_token_password }}"
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

WORDS = ["server", "ca_fingerprint", "hostname", "token_library_path", "setup_kra"]


def main():
    module = AnsibleModule(
        argument_spec=dict(
            server=dict(type="str"),
            ca_fingerprint=dict(type="str"),
            hostname=dict(type="str"),
            join_secret=dict(type="str", no_log=True),
            ds_password=dict(type="str", required=True, no_log=True),
            token_password=dict(type="str", no_log=True),
            token_library_path=dict(type="path"),
            setup_ca=dict(type="bool", default=True),
            setup_kra=dict(type="bool", default=False),
            deadlines=dict(type="dict", default={}),
        ),
        supports_check_mode=True,
    )
    params = module.params
    secrets = {
        "ds-password": params["ds_password"],
        "token-password": params["token_password"],
        "join-secret": params["join_secret"],
    }
    words = options_of(params, WORDS) + ([] if params["setup_ca"] else ["--no-setup-ca"])
    installation = Installation(module, "replica-install", lambda here: True)
    if module.check_mode and params["server"] is None and installation.capstan.here() is None:
        module.exit_json(changed=True, msg="There is no server to join yet; the host was not looked at.")
    installation.run(words, secrets)


if __name__ == "__main__":
    main()
