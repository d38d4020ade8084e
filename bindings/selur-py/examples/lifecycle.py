import sys

import selur

image = sys.argv[1] if len(sys.argv) > 1 else "docker.io/library/busybox"
with selur.Bridge() as bridge:
    print("run     ", bridge.containers.run(image, ["echo", "hello"], remove=True))
    web = bridge.containers.run(image, ["sleep", "600"], name="web", detach=True, hostname="inside")
    print("started ", web.name, web.status)
    print("exec    ", web.exec_run("cat /etc/hostname"))
    try:
        bridge.delete_container("web")
    except selur.InvalidState as error:
        print("remove  ", error)
    web.stop(timeout=0)
    print("ended   ", web.wait())
    web.remove()
    print("list    ", bridge.containers.list(all=True))
