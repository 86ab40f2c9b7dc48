"""Telling the outside: signed, at least once, never about simulated data."""

from lifeline.notify.escalation import Escalator
from lifeline.notify.labels import labelled
from lifeline.notify.webhook import Webhook, WebhookSettings, sign, verify

__all__ = ["Escalator", "Webhook", "WebhookSettings", "labelled", "sign", "verify"]
