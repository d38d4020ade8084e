"""The same ping by what people use today: wasmtime-py and extism with a guest that does what selur's does, in this process, and
`http.client` to a JSON server in another one, over one connection that is kept open. Arguments name those that are wanted.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from pathlib import Path

import extism
import wasmtime
from measure import PAYLOADS, measure, ping_frame

HERE = Path(__file__).resolve().parent
EXTISM_GUEST = HERE.parent.parent / "selur-ffi/benches/peers/extism_ping.wat"


def by_wasmtime() -> None:
    store = wasmtime.Store()
    module = wasmtime.Module(store.engine, (HERE / "wasmtime_ping.wat").read_text())
    exports = wasmtime.Instance(store, module, []).exports(store)
    memory, ping = exports["memory"], exports["ping"]
    assert isinstance(memory, wasmtime.Memory)
    assert isinstance(ping, wasmtime.Func)
    for size in PAYLOADS:
        frame = ping_frame(size)

        def call(frame: bytes) -> bytearray:
            memory.write(store, frame, 0)
            if ping(store, 0, len(frame)) != 0:
                raise AssertionError("it is no ping")
            return memory.read(store, 4, len(frame))

        assert call(frame) == b"\0" + frame[5:]
        measure("wasmtime-py, from Python", size, 1, 5000, call, frame)


def by_extism() -> None:
    guest = wasmtime.wat2wasm(EXTISM_GUEST.read_text())
    with extism.Plugin({"wasm": [{"data": bytes(guest)}]}) as plugin:
        for size in PAYLOADS:
            # Its guest sees its input 8 bytes at a time.
            if size < 3:
                continue
            frame = ping_frame(size)

            def call(frame: bytes) -> bytes:
                return bytes(plugin.call("ping", frame, parse=bytes))

            assert len(call(frame)) == len(frame)
            measure("extism, from Python", size, 1, 5000, call, frame)


def by_http() -> None:
    server = subprocess.Popen([sys.executable, HERE / "http_server.py"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        connection = http.client.HTTPConnection("127.0.0.1", int(server.stdout.readline()))
        connection.connect()
        for size in PAYLOADS:
            payload = "x" * size

            def call(payload: str) -> str:
                body = json.dumps({"command": "ping", "payload": payload})
                connection.request("POST", "/", body, {"Content-Type": "application/json"})
                return str(json.loads(connection.getresponse().read())["data"])

            assert call(payload) == payload
            measure("http.client, JSON over HTTP, from Python", size, 1, 3000, call, payload)
        connection.close()
    finally:
        server.terminate()
        server.wait()


PEERS = {"wasmtime": by_wasmtime, "extism": by_extism, "http": by_http}
for name in sys.argv[1:] or PEERS:
    PEERS[name]()
