# Copyright: the Capstan authors
# Apache License 2.0 (see LICENSE)
"""Passwords are among the parameters."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible_collections.capstan.cluster.plugins.plugin_utils.over_stdin import OverStdin


class ActionModule(OverStdin):
    """Runs the module of the same name."""
