#!/usr/bin/python
# Copyright: the Capstan authors
# Apache License 2.0 (see LICENSE)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: health_info
short_description: Look for faults of a server
version_added: 1.0.0
description:
  - Runs C(capstan health), which looks at everything that makes the server and changes nothing.
extends_documentation_fragment:
  - capstan.cluster.common
author:
  - The Capstan authors (@capstan)
"""

EXAMPLES = r"""
- name: Look for faults
  capstan.cluster.health_info:
  register: health
"""

RETURN = r"""
healthy:
  description: Whether nothing was found.
  returned: always
  type: bool
checks:
  description: How many checks were made.
  returned: always
  type: int
faults:
  description: What was found, each with the code of the check, its severity, a sentence and a remedy.
  returned: always
  type: list
  elements: dict
"""

import json

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.capstan.cluster.plugins.module_utils.capstan import Capstan

# What a rehearsal tells of a host that has nothing yet.
UNSEEN = dict(changed=False, healthy=True, checks=0, faults=[])


def main():
    module = AnsibleModule(
        argument_spec=dict(deadlines=dict(type="dict", default={})),
        supports_check_mode=True,
    )
    capstan = Capstan(module, missing=UNSEEN if module.check_mode else None)
    run = capstan.run(["health", "--json"])
    try:
        results = json.loads(run.stdout)
    except ValueError:
        results = None
    if not isinstance(results, list):
        capstan.fail(run)
    faults = [fault(one) for one in results if one["result"] != "SUCCESS"]
    module.exit_json(changed=False, healthy=not faults, checks=len(results), faults=faults)


def fault(one):
    told = one.get("kw", {})
    return dict(
        check=one["check"],
        severity=one["result"],
        about=told.get("key"),
        message=told.get("msg"),
        remedy=told.get("remedy"),
    )


if __name__ == "__main__":
    main()
