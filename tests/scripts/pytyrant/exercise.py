"""Calls every method of an unmodified PyTyrant 1.1.17 and asserts what it gives.

Usage: jython exercise.py HOST PORT client|edge [BACKUP FILE], with the folder of pytyrant.py in JYTHONPATH. Python 2, as
PyTyrant is. A listener of the dialect pytyrant that allows setmst, in front of an empty store, where clients or ttguard
give the stamps; BACKUP is what a copy is asked for, FILE what that makes.
"""
import os
import sys
import time

import pytyrant

checked = set()


def check(method, found, wanted):
    if found != wanted:
        print '%s: wanted %r, found %r' % (method, wanted, found)
        sys.exit(1)
    checked.add(method)


def refused(method, error, call, *args):
    """The call must raise this error."""
    try:
        found = call(*args)
    except error:
        checked.add(method)
    else:
        print '%s%r: wanted %s, found %r' % (method, args, error.__name__, found)
        sys.exit(1)


def tyrant_stores(t):
    check('Tyrant.put', t.put('a', '1'), None)
    check('Tyrant.get', t.get('a'), '1')
    refused('Tyrant.get', pytyrant.TyrantError, t.get, 'none')
    check('Tyrant.putkeep', t.putkeep('b', '2'), None)
    refused('Tyrant.putkeep', pytyrant.TyrantError, t.putkeep, 'b', '3')
    t.putcat('b', '22')
    check('Tyrant.putcat', t.get('b'), '222')
    t.putshl('b', '34', 3)
    check('Tyrant.putshl', t.get('b'), '234')
    t.putnr('c', 'quiet')
    check('Tyrant.putnr', t.get('c'), 'quiet')
    check('Tyrant.vsiz', t.vsiz('c'), 5)
    refused('Tyrant.vsiz', pytyrant.TyrantError, t.vsiz, 'none')
    check('Tyrant.out', t.out('c'), None)
    refused('Tyrant.out', pytyrant.TyrantError, t.out, 'c')
    binary = ''.join(chr(byte) for byte in range(256))
    t.put(binary, binary)
    check('Tyrant.get', t.get(binary), binary)
    t.put('large', 'x' * 100000)
    check('Tyrant.get', len(t.get('large')), 100000)
    check('Tyrant.out', [t.out(binary), t.out('large')], [None, None])


def tyrant_many(t):
    check('Tyrant.mget', sorted(t.mget(['a', 'none', 'b'])), [('a', '1'), ('b', '234')])
    check('Tyrant.mget', t.mget([]), [])
    t.iterinit()
    keys = [t.iternext(), t.iternext()]
    check('Tyrant.iterinit', sorted(keys), ['a', 'b'])
    refused('Tyrant.iternext', pytyrant.TyrantError, t.iternext)
    check('Tyrant.fwmkeys', t.fwmkeys('a', 10), ['a'])
    check('Tyrant.fwmkeys', t.fwmkeys('', 1) in (['a'], ['b']), True)
    check('Tyrant.misc', t.misc('putlist', 0, ['d', '4']), [])
    check('Tyrant.misc', t.misc('getlist', 0, ['d', 'none']), ['d', '4'])
    check('Tyrant.misc', t.misc('outlist', pytyrant.RDBMONOULOG, ['d']), [])
    # Its answer is read to its end: the next one is in step.
    refused('Tyrant.misc', pytyrant.TyrantError, t.misc, 'nosuch', 0, ['d'])
    check('Tyrant.get', t.get('a'), '1')


def tyrant_server(t):
    check('Tyrant.rnum', t.rnum(), 2)
    check('Tyrant.size', t.size() > 0, True)
    check('Tyrant.sync', t.sync(), None)
    check('Tyrant.stat', 'rnum\t2\n' in t.stat(), True)
    # No script is loaded: the answer is an error, and the next one is in step again.
    refused('Tyrant.ext', pytyrant.TyrantError, t.ext, 'none', pytyrant.RDBXOLCKREC, 'a', '1')
    check('Tyrant.get', t.get('a'), '1')
    t.out('a')
    t.out('b')


def tyrant_old_numbers(t, backup, copied):
    """The commands whose numbers or layouts are those of an older server."""
    t.misc('putlist', 0, ['a', '1', 'b', '2'])
    if backup:
        check('Tyrant.copy', t.copy(backup), None)
        check('Tyrant.copy', os.path.exists(copied), True)
    refused('Tyrant.copy', pytyrant.TyrantError, t.copy, '/nowhere/at/all.tch')
    refused('Tyrant.restore', pytyrant.TyrantError, t.restore, '/nowhere', 1795000000000)
    check('Tyrant.rnum', t.rnum(), 2)
    check('Tyrant.setmst', t.setmst('127.0.0.1', 1), None)
    check('Tyrant.setmst', 'mhost\t127.0.0.1\nmport\t1\n' in t.stat(), True)
    t.setmst('', 0)
    check('Tyrant.vanish', t.vanish(), None)
    check('Tyrant.rnum', t.rnum(), 0)
    refused('Tyrant.get', pytyrant.TyrantError, t.get, 'a')


def late(t, is_given):
    """Whatever a late packet is sent by, it changes nothing, and the connection stays in step. Where ttguard gives the
    stamps, what looks like one is some bytes, and what was sent last counts."""
    now = int(time.time() * 1000)
    new, old = '%013d new' % now, '%013d old' % (now - 60000)
    left = old if is_given else new
    p = pytyrant.PyTyrant(t)
    for method, call, args in (
            ('Tyrant.put', t.put, ('late', old)),
            ('Tyrant.misc', t.misc, ('putlist', 0, ['late', old])),
            ('Tyrant.misc', t.misc, ('put', 0, ['late', old])),
            ('PyTyrant.__setitem__', p.__setitem__, ('late', old)),
            ('PyTyrant.multi_set', p.multi_set, ([('late', old)],)),
            ('PyTyrant.update', p.update, ({'late': old},))):
        t.put('late', new)
        if is_given:
            call(*args)
        else:
            refused(method, pytyrant.TyrantError, call, *args)
        check(method, t.get('late'), left)
    t.put('late', new)
    refused('Tyrant.putkeep', pytyrant.TyrantError, t.putkeep, 'late', old)
    check('Tyrant.putkeep', t.get('late'), new)
    t.putnr('late', old)
    check('Tyrant.putnr', t.get('late'), left)
    check('PyTyrant.setdefault', p.setdefault('late', 'x'), left)
    p.clear()


def mapping(p):
    p['a'] = '1'
    check('PyTyrant.__setitem__', p.t.get('a'), '1')
    check('PyTyrant.__getitem__', p['a'], '1')
    refused('PyTyrant.__getitem__', KeyError, p.__getitem__, 'none')
    check('PyTyrant.__contains__', ('a' in p, 'none' in p), (True, False))
    check('PyTyrant.has_key', (p.has_key('a'), p.has_key('none')), (True, False))
    check('PyTyrant.setdefault', (p.setdefault('a', '9'), p.setdefault('b', '2')), ('1', '2'))
    check('PyTyrant.get', (p.get('a'), p.get('none'), p.get('none', 'x')), ('1', None, 'x'))
    check('PyTyrant.__len__', len(p), 2)
    del p['b']
    check('PyTyrant.__delitem__', 'b' in p, False)
    refused('PyTyrant.__delitem__', KeyError, p.__delitem__, 'b')
    check('PyTyrant.__iter__', list(p), ['a'])
    check('PyTyrant.iterkeys', list(p.iterkeys()), ['a'])
    check('PyTyrant.keys', p.keys(), ['a'])
    check('PyTyrant.values', p.values(), ['1'])
    check('PyTyrant.itervalues', list(p.itervalues()), ['1'])
    check('PyTyrant.items', p.items(), [('a', '1')])
    check('PyTyrant.iteritems', list(p.iteritems()), [('a', '1')])
    check('PyTyrant.__cmp__', cmp(p, {'a': '1'}), 0)
    check('PyTyrant.__repr__', 'PyTyrant object' in repr(p), True)
    check('PyTyrant.popitem', (p.popitem(), len(p)), (('a', '1'), 0))
    p['a'] = '1'
    check('PyTyrant.pop', (p.pop('a'), p.pop('a', 'gone')), ('1', 'gone'))


def several(p):
    p.update({'a': '1', 'b': '2'})
    p.update([('c', '3')], d='4')
    p.update(pairs='5')
    check('PyTyrant.update', sorted(p.keys()), ['a', 'b', 'c', 'd', 'pairs'])
    p.multi_set([('e', '6'), ('f', '7')], True)
    check('PyTyrant.multi_set', (p['e'], p['f']), ('6', '7'))
    check('PyTyrant.multi_get', p.multi_get(['a', 'none', 'f']), ['1', None, '7'])
    p.multi_del(['b', 'c', 'none'])
    p.multi_del(iter(['d', 'pairs']), True)
    check('PyTyrant.multi_del', sorted(p.keys()), ['a', 'e', 'f'])
    check('PyTyrant.prefix_keys', (p.prefix_keys('e'), sorted(p.prefix_keys(''))), (['e'], ['a', 'e', 'f']))
    check('PyTyrant.prefix_keys', len(p.prefix_keys('', 2)), 2)


def rest(p):
    p.concat('a', '23')
    check('PyTyrant.concat', p['a'], '123')
    p.concat('a', '45', 3)
    check('PyTyrant.concat', p['a'], '345')
    check('PyTyrant.get_size', p.get_size('a'), 3)
    refused('PyTyrant.get_size', KeyError, p.get_size, 'none')
    check('PyTyrant.get_stats', p.get_stats()['rnum'], '3')
    check('PyTyrant.sync', p.sync(), None)
    refused('PyTyrant.call_func', pytyrant.TyrantError, p.call_func, 'none', 'a', '1', True)
    check('PyTyrant.__getitem__', p['a'], '345')
    check('PyTyrant.clear', p.clear(), None)
    check('PyTyrant.__len__', len(p), 0)


def close(opened, name):
    opened.close()
    refused(name, Exception, opened.sync)


def methods(cls):
    """Every method that a user calls, and the special ones that PyTyrant defines."""
    names = [name for name in dir(cls) if callable(getattr(cls, name))]
    plain = [name for name in names if not name.startswith('_')]
    own = [name for name in names if name in cls.__dict__ and name.endswith('__') and name != '__init__']
    return set('%s.%s' % (cls.__name__, name) for name in plain + own)


def main():
    host, port, is_given = sys.argv[1], int(sys.argv[2]), sys.argv[3] == 'edge'
    backup, copied = (sys.argv[4:] + [None, None])[:2]
    t = pytyrant.Tyrant.open(host, port)
    check('Tyrant.open', t.rnum(), 0)
    for part in (tyrant_stores, tyrant_many, tyrant_server):
        part(t)
    tyrant_old_numbers(t, backup, copied)
    late(t, is_given)
    close(t, 'Tyrant.close')
    p = pytyrant.PyTyrant.open(host, port)
    check('PyTyrant.open', len(p), 0)
    for part in (mapping, several, rest):
        part(p)
    close(p, 'PyTyrant.close')
    missed = (methods(pytyrant.Tyrant) | methods(pytyrant.PyTyrant)) - checked
    if missed:
        print 'not checked: %s' % ', '.join(sorted(missed))
        sys.exit(1)
    print '%d methods checked' % len(checked)


main()
