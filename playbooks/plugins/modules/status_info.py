#!/usr/bin/python
# Copyright: the Capstan authors
# Apache License 2.0 (see LICENSE)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: status_info
short_description: Tell what is on a host
version_added: 1.0.0
description:
  - Tells by Capstan's journals which server is on the host, and whether a run did not come to its end. No daemon is asked.
extends_documentation_fragment:
  - capstan.cluster.common
author:
  - The Capstan authors (@capstan)
"""

EXAMPLES = r"""
- name: See what is on the host
  capstan.cluster.status_info:
  register: here
"""

RETURN = r"""
installed:
  description: Whether there is a server, or one has begun to be installed.
  returned: always
  type: bool
joins:
  description: Whether the host needs a join secret, to be installed or to go on with it.
  returned: always
  type: bool
server:
  description: The server as C(capstan status --brief) tells of it.
  returned: when there is one
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.capstan.cluster.plugins.module_utils.capstan import Capstan

NOTHING = dict(changed=False, installed=False, joins=True)


def main():
    module = AnsibleModule(
        argument_spec=dict(deadlines=dict(type="dict", default={})),
        supports_check_mode=True,
    )
    here = Capstan(module, missing=NOTHING).here()
    if here is None:
        module.exit_json(**NOTHING)
    unfinished = here.get("unfinished") or {}
    # What is being taken back begins anew.
    joins = unfinished.get("flow") == "replica-install" and (
        unfinished["joinSecret"] or unfinished["removing"]
    )
    module.exit_json(changed=False, installed=True, joins=joins, server=here)


if __name__ == "__main__":
    main()
