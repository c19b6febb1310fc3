"""The console behind nginx, as docs/console.md says to configure it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .console import turn_to
from .proxy import PATIENCE, Sipx
from .site import write_site

HOST = "tools.localhost"
PAGE = Path(__file__).parents[4] / "docs" / "console.md"
FRONT = """\
daemon off;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_max_temp_file_size 0;  # its workers may not look into the folder
{shown}
}}
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def sipx(browser, people, tmp_path_factory):
    folder = tmp_path_factory.mktemp("behind")
    more = f'allowed_hosts = ["{HOST}"]\nroot_path = "/sipx"\ntrusted_proxies = ["127.0.0.1"]\n'
    with Sipx(folder, write_site(folder, people, more=more)).running() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def front(sipx):
    """Where nginx shows the console."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed")
    [shown] = re.findall(r"```text\n(map \$http_upgrade.*?)```", PAGE.read_text(), re.DOTALL)
    port, console = free_port(), re.findall(r"://(127\.0\.0\.1:\d+)/", sipx.first_link)[0]
    tls = sipx.folder / "tls"
    for documented, here in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("tools.example.com", HOST),
        ("/etc/nginx/tools.crt", str(tls / "main.crt")),
        ("/etc/nginx/tools.key", str(tls / "main.key")),
        ("127.0.0.1:8061", console),
    ):
        assert documented in shown
        shown = shown.replace(documented, here)
    file = sipx.folder / "nginx.conf"
    file.write_text(FRONT.format(folder=sipx.folder, shown=shown))
    process = subprocess.Popen([nginx, "-c", str(file)], stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if "start worker process" in line and "processes" not in line:
                break
        else:
            raise AssertionError(f"nginx has ended: {process.wait(PATIENCE)}")
        yield f"https://{HOST}:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def test_the_console_works_behind_nginx(sipx, front, people, new_page):
    page = new_page()
    sockets = []
    page.on("websocket", lambda one: sockets.append(one.url))
    page.goto(f"{front}/sipx/{sipx.link().partition('/sipx/')[2]}")
    expect(page.get_by_text("connected", exact=True)).to_be_visible()
    assert sockets == [f"{front.replace('https', 'wss')}/sipx/ws"]
    [cookie] = page.context.cookies()
    assert (cookie["path"], cookie["secure"], cookie["sameSite"]) == ("/sipx", True, "Strict")
    turn_to(page, "live")
    people.through(sipx.place("office"))
    people.message("behind the front")
    expect(page.get_by_role("row").filter(has_text="MESSAGE").first).to_be_visible()
    turn_to(page, "help")


def test_the_link_works_without_nginx_too(sipx, new_page):
    page = new_page()
    link = sipx.link()
    assert "/sipx/#token=" in link
    page.goto(link)
    expect(page.get_by_text("connected", exact=True)).to_be_visible()


def test_a_front_that_drops_the_port_is_told_so(sipx, new_page):
    page = new_page()
    page.goto(sipx.first_link.partition("#")[0])
    answer = page.request.post(
        f"{page.url}session",
        data={"token": "x"},
        headers={"Host": HOST, "Origin": f"https://{HOST}:8443", "X-Forwarded-Proto": "https"},
    )
    assert answer.status == 403
    assert "a reverse proxy has to hand on Host with the port" in answer.json()["error"]["text"]
