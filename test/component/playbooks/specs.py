"""What the modules and roles of the collection take, and what they say of it: JSON for the test beside this file."""
import importlib
import json
import os
import sys

import yaml
from ansible.module_utils import basic

ROOT = sys.argv[1]
FACTS = ("type", "required", "default", "choices", "elements")


class Taken(Exception):
    """Carries the argument spec of a module out of its main()."""


class Spy:
    def __init__(self, argument_spec, **_options):
        raise Taken(argument_spec)


def facts(option):
    # What is false or empty by default need not be written.
    return dict((name, option[name]) for name in FACTS if option.get(name) not in (None, False))


def options_of(documentation):
    """The options, those of the fragments that it names as well."""
    options = dict(documentation.get("options", {}))
    for fragment in documentation.get("extends_documentation_fragment", []):
        file, _dot, part = fragment[len("capstan.cluster."):].partition(".")
        code = importlib.import_module("ansible_collections.capstan.cluster.plugins.doc_fragments." + file)
        text = getattr(code.ModuleDocFragment, part.upper() or "DOCUMENTATION")
        options.update(yaml.safe_load(text).get("options", {}))
    return options


def module(name):
    code = importlib.import_module("ansible_collections.capstan.cluster.plugins.modules." + name)
    code.AnsibleModule = Spy
    try:
        code.main()
    except Taken as taken:
        spec = taken.args[0]
    documented = options_of(yaml.safe_load(code.DOCUMENTATION))
    secret = [option for option, told in spec.items() if told.get("no_log")]
    return dict(
        taken=dict((option, facts(told)) for option, told in spec.items()),
        documented=dict((option, facts(told)) for option, told in documented.items()),
        secret=sorted(secret),
        overStdin=os.path.exists(os.path.join(ROOT, "plugins/action", name + ".py")),
    )


def role(name):
    def read(path):
        with open(os.path.join(ROOT, "roles", name, path)) as file:
            return yaml.safe_load(file)

    options = read("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    return dict(
        documented=sorted(options),
        defaults=dict((option, told["default"]) for option, told in options.items() if "default" in told),
        given=read("defaults/main.yml"),
        secret=sorted(option for option, told in options.items() if told.get("no_log")),
    )


modules = sorted(name[:-3] for name in os.listdir(os.path.join(ROOT, "plugins/modules")) if name.endswith(".py"))
roles = sorted(os.listdir(os.path.join(ROOT, "roles")))
found = dict(
    modules=dict((name, module(name)) for name in modules),
    roles=dict((name, role(name)) for name in roles),
)
print(json.dumps(found))
