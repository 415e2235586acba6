"""A process whose root lies on NFS: asks SERVER for NAME when a line comes, says `asked`, and lives until its standard input ends.

nfs_process.py ROOT USER SERVER NAME
"""
import os, random, socket, struct, sys

root, user, server, name = sys.argv[1:]
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0\0\1\0\1"
query = struct.pack(">HHHHHH", random.randrange(65536), 0x100, 1, 0, 0, 0) + question
os.chroot(root)
os.chdir("/")
os.setgid(int(user))
os.setuid(int(user))
print("ready", flush=True)
sys.stdin.readline()
client.sendto(query, (server, 53))
print("asked", flush=True)
sys.stdin.read()
