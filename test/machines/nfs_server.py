"""The kernel's NFS server in a test machine, over loopback, without the programs that usually tell it what to export.

nfs_server.py start EXPORT MOUNT    serves the directory (on tmpfs) to this host and mounts it, hard, nothing cached
nfs_server.py stop                  no thread serves any more: who waits for an answer waits for ever
nfs_server.py resume                they serve again
"""
import ctypes, os, sys, time

NFSD = "/proc/fs/nfsd"
# fs/nfsd/export.h: insecure port, no subtree check, asynchronous, an fsid instead of a device
FLAGS = 0x2 | 0x400 | 0x10 | 0x2000
NEVER = 2147483647
libc = ctypes.CDLL("libc.so.6", use_errno=True)


def write(path, text):
    with open(path, "w") as file:
        file.write(text + "\n")


def mount(source, target, kind, data=""):
    if libc.mount(source.encode(), target.encode(), kind.encode(), 0, data.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"mount {kind}: {os.strerror(ctypes.get_errno())}")


def threads(count):
    write(f"{NFSD}/threads", str(count))


def start(export, target):
    mount("nfsd", NFSD, "nfsd")
    # What rpc.mountd answers when it is asked (net/sunrpc/cache.c): the client, what it may mount, its file handles.
    write("/proc/net/rpc/auth.unix.ip/channel", f"nfsd 127.0.0.1 {NEVER} here")
    write("/proc/net/rpc/nfsd.export/channel", f"here {export} {NEVER} {FLAGS} 65534 65534 0")
    write("/proc/net/rpc/nfsd.fh/channel", f"here 1 \\x00000000 {NEVER} {export}")
    # Version 4 alone needs no rpcbind.
    write(f"{NFSD}/versions", "-2 -3 +4 +4.1 +4.2" if os.path.exists("/proc/net/rpc/nfsd.fh") else "+4")
    write(f"{NFSD}/nfsv4leasetime", "10")
    write(f"{NFSD}/nfsv4gracetime", "10")
    write(f"{NFSD}/portlist", "tcp 2049")
    threads(4)
    os.makedirs(target, exist_ok=True)
    options = "vers=4.2,addr=127.0.0.1,clientaddr=127.0.0.1,hard,noac,proto=tcp"
    end = time.time() + 60
    while True:
        try:
            return mount("127.0.0.1:/", target, "nfs4", options)
        except OSError:
            if time.time() > end:
                raise
            time.sleep(1)


{"start": start, "stop": lambda: threads(0), "resume": lambda: threads(4)}[sys.argv[1]](*sys.argv[2:])
