# SPDX-License-Identifier: Apache-2.0
"""The API, the pages and the command before a made-up past: jeoul-web on the database of billing_house.py."""
import pathlib
import subprocess

from billing_house import BIN
from web_house import Client, House, free_port


class Front(House):
    """A House whose database is there already."""

    def __init__(self, state):  # noqa: super().__init__ would make another one
        self.folder = self.state = pathlib.Path(state)
        self.port = free_port()
        self.children = {}
        self.web_start()
        self.one_time = self.run_tool("jeoul-first-admin").stdout.split("one-time password ")[1].split()[0]
        self.admin = Client(self, *self.admin_key())

    def close(self):
        for child in self.children.values():
            child.kill()
            child.wait()

    def user(self, name):
        """A client, and a log-in with the password NAME-password, of an account that is there."""
        self.sql("insert into app_user (account_id, name) select id, name from account where name = %s", name)
        user = self.admin.rest("GET", f"users?username={name}")["user"][0]
        self.admin.rest("PATCH", f"users/{user['id']}", {"password": f"{name}-password"})
        self.sql("update app_user set must_change = false where name = %s", name)  # as if it was changed
        keys = self.admin.rest("POST", f"users/{user['id']}/keys", {}, expect=201)
        return Client(self, keys["apikey"], keys["secretkey"])

    def command(self, *words, check=True):
        done = subprocess.run([BIN / "jeoul", *self.settings(), *words], capture_output=True, text=True, timeout=120)
        assert not check or done.returncode == 0, done.stderr
        return done
