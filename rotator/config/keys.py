"""The one table of all settings: where each may stand, how it is read, and what it means.

From it follow the loader, what messages expect, the table in docs/configuration.md, the schema of
rotator.toml and that of the chart.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rotator.config import forms, values
from rotator.config.values import Value

SCHEMA = Path(__file__).with_name("rotator.schema.json")
CONFIG = "ROTATOR_CONFIG"
STORE = "ROTATOR_STORE"
CREDENTIALS = ("NOCTURNA_ADMIN_", "ROTATOR_NOTIFY")  # how such variables begin
EXPECTED_STORE_URL = (
    "the URL of a store that holds the password, such as vault://secret/nocturna#password; the"
    " password itself may stand in a file (admin_password_file) or in the variable"
    " NOCTURNA_ADMIN_PASSWORD"
)
_TIMEOUT = "a duration from 1s to 1h, such as 90s or 2m"


class Key(NamedTuple):
    """A setting, by its name in rotator.toml; `variable` is its name in the environment, if any.

    `meaning` is Markdown. Messages say what is `expected`. `schema` is the JSON Schema of what a
    file takes, and `default` is as a user writes it. `parse_variable` reads a variable that is not
    written like the text in a file; where it holds something else, `variable_meaning` says what.
    Of a private key nobody is shown the value, as it holds a credential or may do so.
    """

    name: str
    meaning: str
    expected: str
    parse: Callable[[Value], Any] = values.read_text
    schema: Mapping[str, Any] = forms.TEXT
    variable: str = ""
    default: str = ""
    parse_variable: Callable[[Value], Any] | None = None
    variable_meaning: str = ""
    is_private: bool = False

    @property
    def default_value(self) -> str | bool | int | None:
        """The default as a file would hold it; None where nothing stands for it."""
        if self.default.isdecimal():
            return int(self.default)
        return {"true": True, "false": False}.get(self.default, self.default or None)


API_KEYS = (
    Key(
        "url",
        "the API's URL; ends in `/api`",
        "a URL such as https://your-api-server.com/api",
        values.read_api_url,
        forms.API_URL,
        variable="NOCTURNA_API_URL",
    ),
    Key(
        "admin_email",
        "the e-mail of the admin account; case-sensitive",
        "a text that is not empty",
        values.read_secret,
        forms.CREDENTIAL,
        variable="NOCTURNA_ADMIN_EMAIL",
        is_private=True,
    ),
    Key(
        "admin_email_file",
        "a file with the e-mail",
        "the path of a file",
        values.read_secret_file,
        variable="NOCTURNA_ADMIN_EMAIL_FILE",
    ),
    Key(
        "admin_password",
        "the URL of a store that holds the password, never the password itself",
        EXPECTED_STORE_URL,
        values.read_secret_store,
        forms.PASSWORD_STORE,
        variable="NOCTURNA_ADMIN_PASSWORD",
        parse_variable=values.read_secret,
        variable_meaning="the password itself, never the URL of a store",
        is_private=True,
    ),
    Key(
        "admin_password_file",
        "a file with the password",
        "the path of a file",
        values.read_secret_file,
        variable="NOCTURNA_ADMIN_PASSWORD_FILE",
    ),
    Key(
        "allow_insecure_http",
        "permits an `http://` URL of another machine; the network can then read the password",
        "true or false",
        values.read_flag,
        forms.FLAG,
        default="false",
    ),
    Key(
        "connections",
        "how many connections to the API there may be at the same time, 1 to 100",
        "a whole number from 1 to 100",
        values.read_connections,
        forms.CONNECTIONS,
        default="4",
    ),
)
NAMED_API_KEYS = (  # of an [[api]], which no variable configures
    Key(
        "name",
        "the API's name, to which tokens refer: letters, digits and `.` `_` `-`, 64 at most",
        "a name of letters, digits and . _ - (64 at most)",
        values.read_name,
        forms.NAME,
    ),
    *(key._replace(variable="", parse_variable=None, variable_meaning="") for key in API_KEYS),
)
LIMIT_KEYS = (
    Key(
        "store_connections",
        "how many connections to one server of stores there may be at the same time, 1 to 100",
        "a whole number from 1 to 100",
        values.read_connections,
        forms.CONNECTIONS,
        default="8",
    ),
)
REQUIRED_KEYS = (  # of a [[token]]
    Key(
        "stores",
        "the token's store URLs; the first is written first",
        'a list of store URLs such as ["dotenv:.env"]',
        values.read_stores,
        forms.STORES,
        variable=STORE,
        parse_variable=values.split_stores,
    ),
    Key(
        "name",
        "the token's name: letters, digits and `.` `_` `-`, 64 at most",
        "a name of letters, digits and . _ - (64 at most)",
        values.read_name,
        forms.NAME,
    ),
)
OWN_KEYS = (  # of a [[token]] alone
    *REQUIRED_KEYS,
    Key(
        "mirrors",
        "URLs of [mirrors](mirrors.md): places that get the token after its stores, and that cannot"
        " be read, such as the secrets of a CI",
        'a list of at most 8 mirror URLs such as ["github-actions://luna/bot#TOKEN"]',
        values.read_mirrors,
        forms.MIRRORS,
        variable="ROTATOR_MIRROR",
        parse_variable=values.split_mirrors,
    ),
)
TOKEN_KEYS = (  # of [defaults] and [[token]]
    Key(
        "renew_before",
        "the token is due when less than this is left of its life; at least `rotation_timeout`",
        "a duration above zero, such as 7d, 12h, 90m or 30s",
        values.read_duration,
        forms.DURATION,
        variable="ROTATOR_RENEW_BEFORE",
        default="7d",
    ),
    Key(
        "spread",
        "renews the token earlier, by its own share of up to this part of `validity`, `0%` to"
        " `10%`, so that tokens made together are not due together for ever",
        "whole percents from 0% to 10%",
        values.read_share,
        forms.PERCENT,
        default="0%",
    ),
    Key(
        "at_most",
        "how many tokens a run renews, or `10 per team` for each value of the label `team`: the"
        " most urgent first, and those with less than a day left in any case; for the daemon an"
        " hour is a run",
        'a number above zero such as 10, or one for each value of a label such as "10 per team"',
        values.read_at_most,
        forms.AT_MOST,
    ),
    Key(
        "validity",
        "lifetime of a new token: whole days, `1d` to `365d`; an eternal token is replaced by an"
        " eternal one",
        "whole days from 1d to 365d",
        values.read_validity,
        forms.DAYS,
        variable="ROTATOR_VALIDITY",
        default="90d",
    ),
    Key(
        "scope",
        "the token's scope, by default that of the current token, at first `calculations`; a token"
        " with another scope is due",
        "a text",
        values.read_scope,
        forms.SCOPE,
        variable="ROTATOR_SCOPE",
    ),
    Key(
        "labels",
        'names and values such as `{ team = "stars" }`, by which `--label` picks tokens and graphs'
        " group them",
        'a table of labels such as { team = "stars" }, their names of letters, digits and _ (40 at'
        " most) and their values texts (60 at most)",
        values.read_labels,
        forms.LABELS,
    ),
    Key(
        "retire",
        "when the old token is revoked: `never` (it expires), `now`, after a time such as `1d`, or"
        " once nobody has used it for a time, such as `unused 24h` or `unused 24h, at most 30d`;"
        " each time is at most `validity`",
        '"never", "now", a time such as 1d, or a time without use such as "unused 24h" or "unused'
        ' 24h, at most 30d"',
        values.read_retire,
        forms.RETIRE,
        variable="ROTATOR_RETIRE",
        default="never",
    ),
    Key(
        "probe",
        "whether each run asks the API if it accepts the token",
        "true or false",
        values.read_flag,
        forms.FLAG,
        default="true",
    ),
    Key(
        "rotation_timeout",
        "the longest time for one rotation, `1s` to `1h`; another run's rotation counts as dead"
        " after it",
        _TIMEOUT,
        values.read_timeout,
        forms.TIMEOUT,
        variable="ROTATOR_ROTATION_TIMEOUT",
        default="2m",
    ),
    Key(
        "hooks",
        "commands that run after a rotation, each a list of arguments",
        "a list in which each hook is a list of arguments, such as"
        ' [["systemctl", "restart", "luna-bot"]]',
        values.read_hooks,
        forms.HOOKS,
        is_private=True,
    ),
    Key(
        "hook_timeout",
        "the longest time for one hook or restart, `1s` to `1h`",
        _TIMEOUT,
        values.read_timeout,
        forms.TIMEOUT,
        variable="ROTATOR_HOOK_TIMEOUT",
        default="60s",
    ),
    Key(
        "notify",
        "apprise URLs to send notices to",
        'a list of apprise URLs such as ["slack://…", "mailto://…"]',
        values.read_notify,
        forms.NOTIFY,
        variable="ROTATOR_NOTIFY",
        parse_variable=values.split_notify,
        is_private=True,
    ),
    Key(
        "notify_on",
        "what notices are sent for, by default all: `rotated`, `failed`, and `owed-in-use` when"
        " somebody uses a replaced token after an unusual silence",
        'a list of events such as ["rotated", "failed", "owed-in-use"]',
        values.read_events,
        forms.EVENTS,
        variable="ROTATOR_NOTIFY_ON",
        parse_variable=values.split_events,
    ),
    Key(
        "restart",
        "Kubernetes workloads to restart after a rotation, each as `[NAMESPACE/]KIND/NAME`",
        "a list of workloads, each as [NAMESPACE/]KIND/NAME with the kind deployment, statefulset"
        ' or daemonset, such as ["deployment/luna-bot", "bots/statefulset/sol-bot"]',
        values.read_restart,
        forms.RESTART,
    ),
    Key(
        "max_age",
        "how old a token may become, which `rotator report` proves; at least `validity` less"
        " `renew_before`, when it is renewed",
        "a duration above zero, such as 90d",
        values.read_duration,
        forms.DURATION,
    ),
    Key(
        "allow_eternal",
        "whether a token may be one that never expires, which `rotator report` proves",
        "true or false",
        values.read_flag,
        forms.FLAG,
        default="true",
    ),
    Key(
        "rehearse",
        "whether `rotator doctor` also rehearses a rotation, without hooks",
        "true or false",
        values.read_flag,
        forms.FLAG,
        variable="ROTATOR_REHEARSE",
        default="false",
        parse_variable=values.read_flag_variable,
    ),
    Key(
        "api",
        "the `name` of the token's API, where the config has several",
        "the name of an [[api]]",
        values.read_name,
        forms.NAME,
    ),
)
TABLES = {
    "api": API_KEYS,
    "limits": LIMIT_KEYS,
    "defaults": TOKEN_KEYS,
    "token": (*OWN_KEYS, *TOKEN_KEYS),
}
VARIABLES = (CONFIG, *(key.variable for key in (*API_KEYS, *TABLES["token"]) if key.variable))
