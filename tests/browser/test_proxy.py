"""Behind Debian's nginx with a prefix, TLS and websockets: pages, pictures and the name's cookie."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import free_port, serving

pytestmark = pytest.mark.slow

CONF = """
daemon off; error_log {folder}/error.log; pid {folder}/pid;
events {{ worker_connections 256; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    location /a/team {{
      proxy_pass {inner};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_read_timeout 1h;
    }}
    location / {{ return 404 "another application"; }}
  }}
}}
"""


@pytest.fixture
def proxied(home: Path, tmp_path: Path) -> Iterator[str]:
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    folder, port = tmp_path / "nginx", free_port()
    folder.mkdir()
    names = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"), "-subj", "/CN=localhost"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *names],
        check=True,
        capture_output=True,
    )
    with serving(home, tmp_path / "server.log", base_path="a/team") as address:
        inner = address.removesuffix("/a/team").replace("localhost", "127.0.0.1")
        (folder / "conf").write_text(CONF.format(folder=folder, port=port, inner=inner))
        process = subprocess.Popen([nginx, "-p", str(folder), "-c", str(folder / "conf")])
        try:
            for _ in range(50):
                if (folder / "pid").exists():
                    break
                assert process.poll() is None, (folder / "error.log").read_text()
                time.sleep(0.1)
            yield f"https://localhost:{port}/a/team"
        finally:
            process.terminate()
            process.wait(30)


def test_pages_pictures_and_names_work_behind_a_proxy_with_a_prefix_and_tls(
    proxied: str, chromium: Any, tmp_path: Path
) -> None:
    context = chromium.new_context(ignore_https_errors=True, viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(60_000)
    missing: list[str] = []
    page.on("response", lambda answer: missing.append(answer.url) if answer.status >= 400 else None)
    page.goto(f"{proxied}/describe?class=waterbird")
    page.get_by_placeholder("Ada Lovelace").fill("Ada")
    page.keyboard.press("Enter")
    page.get_by_text("reviewer · Ada").wait_for()
    page.get_by_placeholder("a word or a few").fill("meadow")
    page.keyboard.press("Enter")
    page.get_by_text("with meadow", exact=True).wait_for()
    page.locator(".grid img").nth(5).wait_for()
    page.wait_for_function(
        "[...document.querySelectorAll('.grid img')].slice(0, 6).every(i => i.naturalWidth)"
    )
    page.get_by_role("button", name="Keep it").click()
    page.get_by_role("button", name="Kept · undo").wait_for()
    (cookie,) = (each for each in context.cookies() if "clarify" in each["name"])
    assert (cookie["path"], cookie["secure"], cookie["httpOnly"]) == ("/a/team", True, True)
    page.goto(f"{proxied}/compare")  # the name is remembered
    page.get_by_text("reviewer · Ada").wait_for()
    page.get_by_role("link", name="Describe").first.click()
    page.wait_for_url("**/a/team/describe**")
    context.close()
    # Streamlit looks for its own server below the page's address first.
    assert not [each for each in missing if "/_stcore/" not in each]
    access = (tmp_path / "nginx" / "access.log").read_text()
    assert " 101 " in access  # a websocket
    assert '"GET /a/team/pictures/' in access
