# Copyright: the Capstan authors
# Apache License 2.0 (see LICENSE)
"""What the documentation of several modules shares."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  deadlines:
    description: The longest waits in seconds, by their names; see the administrator's guide of Capstan.
    type: dict
    default: {}
"""

    # The same, for modules with secrets; Ansible takes no fragment without options.
    OVER_STDIN = DOCUMENTATION + r"""
notes:
  - Secrets reach the host over the standard input of the connection. Pipelining is turned on for the task; where that cannot
    be, with C(ANSIBLE_KEEP_REMOTE_FILES) or with C(su), the task is refused before anything is sent.
"""
