#!/usr/bin/python
# Copyright: the Capstan authors
# Apache License 2.0 (see LICENSE)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: uninstall
short_description: Remove the server from a host
version_added: 1.0.0
description:
  - Runs C(capstan uninstall), which takes the server out of its cluster and everything back that was installed on the host.
  - Does nothing on a host without a server.
options:
  purge_token:
    description: Whether what the installation made on the token is deleted. The CA cannot be brought back after that.
    type: bool
    default: false
  force:
    description: Whether it goes on when other servers need this one, or cannot be told.
    type: bool
    default: false
  token_password:
    description: The user PIN, for I(purge_token) where Dogtag keeps it no more.
    type: str
extends_documentation_fragment:
  - capstan.cluster.common.over_stdin
author:
  - The Capstan authors (@capstan)
"""

EXAMPLES = r"""
- name: Remove the server
  capstan.cluster.uninstall:
"""

RETURN = r"""
facts:
  description: What was removed.
  returned: success
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.capstan.cluster.plugins.module_utils.capstan import Capstan, options_of


def main():
    module = AnsibleModule(
        argument_spec=dict(
            purge_token=dict(type="bool", default=False, no_log=False),
            force=dict(type="bool", default=False),
            token_password=dict(type="str", no_log=True),
            deadlines=dict(type="dict", default={}),
        ),
        supports_check_mode=True,
    )
    params = module.params
    capstan = Capstan(module, missing=dict(changed=False, msg="There is no capstan on this host."))
    here = capstan.here()
    if here is None:
        module.exit_json(changed=False, msg="There is no server on this host.")
    diff = dict(before="".join("%s\n" % one for one in ["directory"] + here["roles"]), after="")
    if module.check_mode:
        module.exit_json(changed=True, msg="The server %s would be removed." % here["hostname"], diff=diff)
    words = ["uninstall", "--unattended", "--output", "json"] + options_of(params, ["purge_token", "force"])
    pin = None
    if not params["purge_token"]:
        words.append("--keep-token")
    elif params["token_password"] is not None:
        words += ["--token-password-file", "-"]
        pin = params["token_password"]
    run = capstan.run(words, data=pin or "")
    if not run.ended_well():
        capstan.fail(run)
    module.exit_json(changed=True, msg=run.last.get("title"), facts=run.last.get("facts", []), diff=diff)


if __name__ == "__main__":
    main()
