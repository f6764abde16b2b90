"""Two APIs with an account each, and two tokens of each in one config."""

from tests.support.process import Result, Runner
from tests.support.sandbox import Sandbox
from tests.support.waiting import PATIENCE

LOGIN = ("POST", "/auth/login", 200)
MINT = ("POST", "/auth/admin/service-tokens", 200)
LIST = ("GET", "/auth/admin/service-tokens", 200)
TOKENS = {"luna": "eu", "sol": "us", "mars": "eu", "ceres": "us"}


class Pair:
    """`run` calls the command; the tokens are `luna` and `mars` at `eu`, `sol` and `ceres` at `us`.

    `defaults` are lines of `[defaults]`.
    """

    def __init__(self, rotator: Runner, eu: Sandbox, us: Sandbox) -> None:
        self.run = rotator
        self.apis = {"eu": eu, "us": us}
        self.defaults = ""
        self.tokens = dict(TOKENS)
        rotator.env = {k: v for k, v in rotator.env.items() if not k.startswith("NOCTURNA_")}
        del rotator.env["ROTATOR_STORE"]
        for name, api in self.apis.items():
            file = rotator.folder / f"{name}-password"
            file.write_text(f"{api.admin_password}\n")
            file.chmod(0o600)
        self.write()

    def write(self) -> None:
        """Write the config anew."""
        text = "".join(
            f'[[api]]\nname = "{name}"\nurl = "{api.url}"\n'
            f'admin_email = "{api.admin_email}"\nadmin_password_file = "{name}-password"\n\n'
            for name, api in self.apis.items()
        )
        text += f"[defaults]\n{self.defaults}\n"
        for name, api_name in self.tokens.items():
            text += f'[[token]]\nname = "{name}"\napi = "{api_name}"\n'
            text += f'stores = ["dotenv:{name}.env"]\n'
        (self.run.folder / "rotator.toml").write_text(text)

    def put(self, name: str, days: float = 60, *, note: str = "") -> str:
        """Put a token of its API into the store of this name, and return its id."""
        api = self.apis[self.tokens[name]]
        path = self.run.folder / f"{name}.env"
        path.write_text(f"{note}NOCTURNA_SERVICE_TOKEN={api.issue(days)}\n")
        path.chmod(0o600)
        return api.tokens[-1].id

    def put_all(self, days: float = 60) -> dict[str, str]:
        return {name: self.put(name, days) for name in self.tokens}

    def issue(self, name: str) -> str:
        """Make a token at an API that no store holds, and return its id."""
        self.apis[name].issue(60)
        return self.apis[name].tokens[-1].id

    def live_ids(self, name: str) -> set[str]:
        return {row.id for row in self.apis[name].live_tokens()}

    def count(self, name: str, call: tuple[str, str, int]) -> int:
        return self.apis[name].calls.count(call)

    def print_secret(self, *arguments: str) -> int:
        """Run a command that prints a secret, which is thrown away; return its exit status."""
        with self.run.started(*arguments) as running:
            status = running.process.wait(PATIENCE)
            assert running.take_out()
        return status

    def rotate(self, *arguments: str) -> Result:
        return self.run("rotate", "--json", *arguments)
