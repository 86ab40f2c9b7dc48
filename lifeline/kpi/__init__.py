"""How the alarm system does: figures of the ledger's events beside their targets.

The figures and their targets are those of ISA-18.2 §16 and EEMUA 191 (docs/kpi.md). All of it is a
pure function of the events, the span and the site's own targets; times are those at which events
were received, for then an operator can have seen them.
"""
