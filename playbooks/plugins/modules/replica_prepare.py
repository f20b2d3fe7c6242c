#!/usr/bin/python
# Copyright: the Capstan authors
# Apache License 2.0 (see LICENSE)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: replica_prepare
short_description: Let a host join the cluster
version_added: 1.0.0
description:
  - Runs C(capstan replica-prepare) on a server with a CA. It draws a join secret for one host and for a limited time.
  - The result holds that secret. It is never shown, with whatever verbosity; register it and hand it to
    M(capstan.cluster.replica_install).
  - In check mode no secret is drawn.
options:
  hostname:
    description: Fully qualified name of the host that is to join.
    type: str
    required: true
  lifetime:
    description: How long the secret is good, as in C(30m), C(24h), C(2d).
    type: str
    default: 2h
extends_documentation_fragment:
  - capstan.cluster.common.over_stdin
author:
  - The Capstan authors (@capstan)
"""

EXAMPLES = r"""
- name: Let the host join
  capstan.cluster.replica_prepare:
    hostname: "{{ inventory_hostname }}"
  delegate_to: ca1.example.test
  register: join
"""

RETURN = r"""
server:
  description: The server that is to be joined, by its full name.
  returned: when there is a server
  type: str
fingerprint:
  description: The fingerprint of the cluster's CA certificate.
  returned: when there is a server
  type: str
join_secret:
  description: The secret.
  returned: success, not in check mode
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.capstan.cluster.plugins.module_utils.capstan import Capstan


def main():
    module = AnsibleModule(
        argument_spec=dict(
            hostname=dict(type="str", required=True),
            lifetime=dict(type="str", default="2h"),
            deadlines=dict(type="dict", default={}),
        ),
        supports_check_mode=True,
    )
    params = module.params
    capstan = Capstan(module, missing=dict(changed=True) if module.check_mode else None)
    if module.check_mode:
        here = capstan.here() or {}
        module.exit_json(changed=True, server=here.get("hostname"), fingerprint=here.get("fingerprint"))
    run = capstan.run(
        ["replica-prepare", params["hostname"], "--lifetime", params["lifetime"], "--output", "json"]
    )
    if run.error or run.rc != 0:
        capstan.fail(run)
    told = run.last
    module.exit_json(
        changed=True,
        server=told["server"],
        fingerprint=told["fingerprint"],
        join_secret=told["joinSecret"],
    )


if __name__ == "__main__":
    main()
