"""A link that loses packets: two network namespaces, joined by two TUN devices and a process between them.

It needs the rights to make namespaces. Linux has netem for this, which not every kernel is built with.
"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import subprocess
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000

NEAR, FAR = "10.77.0.1", "10.77.0.2"


def unshare():
    """Moves this process to a network namespace of its own."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "a network namespace of its own")


def tun(address):
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", b"lossy", IFF_TUN | IFF_NO_PI))
    for arguments in ["link set lo up", f"addr add {address}/24 dev lossy", "link set lossy up"]:
        subprocess.run(["ip", *arguments.split()], check=True)
    return device


def forward(near, far, loss, delay):
    """Passes packets on, each after `delay` seconds, except for those that are lost."""
    chance = random.Random(1)
    under_way = []
    while True:
        wait = max(0, under_way[0][0] - time.monotonic()) if under_way else None
        ready, _, _ = select.select([near, far], [], [], wait)
        for device in ready:
            packet = os.read(device, 65536)
            if chance.random() >= loss:
                heapq.heappush(under_way, (time.monotonic() + delay, len(under_way), far if device == near else near, packet))
        while under_way and under_way[0][0] <= time.monotonic():
            _, _, device, packet = heapq.heappop(under_way)
            os.write(device, packet)


def link(command, loss, delay):
    """Starts a command at the far end of a link, moves this process to its near end, and gives the command's process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)

    def enter():
        unshare()
        device = tun(FAR)
        socket.send_fds(theirs, [b"."], [device])

    server = subprocess.Popen(command, preexec_fn=enter, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    _, [far], _, _ = socket.recv_fds(ours, 1, 1)
    unshare()
    near = tun(NEAR)
    if not os.fork():
        try:
            forward(near, far, loss, delay)
        finally:
            os._exit(1)
    return server
