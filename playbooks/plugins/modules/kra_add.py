#!/usr/bin/python
# Copyright: the Capstan authors
# Apache License 2.0 (see LICENSE)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: kra_add
short_description: Give a server with a CA a KRA
version_added: 1.0.0
description:
  - Runs C(capstan kra-add). The first KRA of a cluster gets its keys on the token of the CA, every further one is a clone.
  - Does nothing on a server with a KRA. A run that did not come to its end is resumed.
options:
  ds_password:
    description: The password of the Directory Manager.
    type: str
    required: true
  token_password:
    description: The user PIN of the token.
    type: str
    required: true
extends_documentation_fragment:
  - capstan.cluster.common.over_stdin
author:
  - The Capstan authors (@capstan)
"""

EXAMPLES = r"""
- name: Give the server a KRA
  capstan.cluster.kra_add:
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
from ansible_collections.capstan.cluster.plugins.module_utils.capstan import Installation


def main():
    module = AnsibleModule(
        argument_spec=dict(
            ds_password=dict(type="str", required=True, no_log=True),
            token_password=dict(type="str", required=True, no_log=True),
            deadlines=dict(type="dict", default={}),
        ),
        supports_check_mode=True,
    )
    params = module.params
    secrets = {"ds-password": params["ds_password"], "token-password": params["token_password"]}
    installation = Installation(module, "kra-add", lambda here: "KRA" in here["roles"])
    if module.check_mode and installation.capstan.here() is None:
        module.exit_json(changed=True, msg="There is no server yet that could get a KRA.")
    installation.run([], secrets)


if __name__ == "__main__":
    main()
