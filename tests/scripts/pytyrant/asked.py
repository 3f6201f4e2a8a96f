"""Does through an unmodified PyTyrant what it is asked line by line, as one application that stays.

Usage: jython asked.py, with the folder of pytyrant.py in JYTHONPATH. Keys and values are in hex:
    open HOST PORT     answered with 0
    put KEY [VALUE]    the code of the answer, 0 for stored
    get KEY            the value
Where a get fails, the line says so.
"""
import sys

import pytyrant


def ask(t, what, key, value=''):
    if what == 'get':
        return t.get(key.decode('hex')).encode('hex')
    t.put(key.decode('hex'), value.decode('hex'))
    return 0


def main():
    t = None
    # Not as an iterator, which would wait for more lines than one.
    for line in iter(sys.stdin.readline, ''):
        words = line.split()
        try:
            if words[0] == 'open':
                t = pytyrant.Tyrant.open(words[1], int(words[2]))
                answer = 0
            else:
                answer = ask(t, *words)
        except pytyrant.TyrantError, error:
            answer = error.args[0] if words[0] == 'put' else 'code %s' % error.args[0]
        print answer
        sys.stdout.flush()


main()
