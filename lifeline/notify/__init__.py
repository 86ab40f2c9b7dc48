"""Telling the outside: signed, at least once, never about simulated data."""

from lifeline.notify.escalation import Escalator
from lifeline.notify.labels import labelled
from lifeline.notify.sending import Post
from lifeline.notify.sign_of_life import SignOfLife, SignOfLifeSettings
from lifeline.notify.webhook import WebhookSettings, sign, verify

__all__ = [
    "Escalator",
    "Post",
    "SignOfLife",
    "SignOfLifeSettings",
    "WebhookSettings",
    "labelled",
    "sign",
    "verify",
]
