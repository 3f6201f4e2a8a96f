"""Stores one value through an unmodified PyTyrant, in a process of its own.

Usage: jython story.py HOST PORT put KEY VALUE    prints the code of the answer, 0 for stored
       jython story.py HOST PORT get KEY          prints the value
"""
import sys

import pytyrant


def main():
    host, port, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    t = pytyrant.Tyrant.open(host, port)
    if what == 'get':
        print t.get(sys.argv[4])
        return
    try:
        t.put(sys.argv[4], sys.argv[5])
    except pytyrant.TyrantError, error:
        print error.args[0]
    else:
        print 0


main()
