"""Tells what goes wrong between an unmodified PyTyrant 1.1.17 and today's server, and that it does not through ttguard.

Usage: jython wrong.py HOST PORT direct|guarded SERVER_PID, with the folder of pytyrant.py in JYTHONPATH.
HOST PORT is the server itself (direct) or a ttguard of the dialect pytyrant in front of it, with a request_timeout
of 1s (guarded). SERVER_PID is the server's process, which is killed in the end. Its store is emptied.
"""
import os
import signal
import socket
import sys

import pytyrant

# The time after which these clients give up: longer than that of the ttguard between.
A_MOMENT = 2


def story(name, found, wanted):
    if found != wanted:
        print '%s: wanted %r, found %r' % (name, wanted, found)
        sys.exit(1)


def outcome(call, *args):
    """What the call gives, or the kind of error that it raises."""
    try:
        return call(*args)
    except pytyrant.TyrantError, error:
        return 'code %d' % error.args[0]
    except socket.timeout:
        return 'timeout'
    except Exception:
        # A reset: jython raises whatever its own code stumbles over.
        return 'error'


def opened(host, port):
    t = pytyrant.Tyrant.open(host, port)
    t.misc('putlist', 0, ['a', 'value of a', 'b', 'value of b'])
    return t


def backup_that_empties(host, port, guarded):
    t = opened(host, port)
    # The path leads nowhere, so a true copy fails.
    story('copy', (outcome(t.copy, '/nowhere/at/all'), opened_rnum(host, port)),
          ('code 1', 2) if guarded else (None, 0))


def opened_rnum(host, port):
    return pytyrant.Tyrant.open(host, port).rnum()


def clear_without_an_answer(host, port, guarded):
    t = opened(host, port)
    t.sock.settimeout(20 if guarded else A_MOMENT)
    story('clear', (outcome(pytyrant.PyTyrant(t).clear), opened_rnum(host, port)),
          (None, 0) if guarded else ('timeout', 2))


def failure_that_spoils_the_next_answer(host, port, guarded):
    t = opened(host, port)
    story('misc', (outcome(t.misc, 'nosuch', 0, []), outcome(t.get, 'a')),
          ('code 1', 'value of a') if guarded else ('code 1', ''))


def answer_to_another_question(host, port, guarded, server):
    t = opened(host, port)
    os.kill(server, signal.SIGSTOP)
    try:
        t.sock.settimeout(A_MOMENT)
        # ttguard gives up first, and says so.
        story('the first get', outcome(t.get, 'a'), 'error' if guarded else 'timeout')
    finally:
        os.kill(server, signal.SIGCONT)
    t.sock.settimeout(20)
    story('the second get', outcome(t.get, 'b'), 'error' if guarded else 'value of a')


def end_of_the_server(host, port, server):
    """Through ttguard there is an error. Directly CPython spins for ever behind the end of the stream where jython
    raises by luck, so that is told in raw bytes by the front-door tests."""
    t = opened(host, port)
    os.kill(server, signal.SIGKILL)
    t.sock.settimeout(20)
    story('the end', outcome(t.sync), 'error')


def main():
    host, port, guarded, server = sys.argv[1], int(sys.argv[2]), sys.argv[3] == 'guarded', int(sys.argv[4])
    for part in (backup_that_empties, clear_without_an_answer, failure_that_spoils_the_next_answer):
        part(host, port, guarded)
    answer_to_another_question(host, port, guarded, server)
    if guarded:
        end_of_the_server(host, port, server)
    print '%d stories told, %s' % (5 if guarded else 4, sys.argv[3])


main()
