"""Telling the outside: signed, at least once, never about simulated data."""

from lifeline.notify.escalation import Escalator
from lifeline.notify.labels import labelled
from lifeline.notify.sign_of_life import SignOfLife, SignOfLifeSettings
from lifeline.notify.webhook import Webhook, WebhookSettings, sign, verify

__all__ = [
    "Escalator",
    "SignOfLife",
    "SignOfLifeSettings",
    "Webhook",
    "WebhookSettings",
    "labelled",
    "sign",
    "verify",
]
