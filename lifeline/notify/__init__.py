"""Telling the outside: signed, at least once, never about simulated data."""

from lifeline.notify.webhook import Webhook, WebhookSettings, sign, verify

__all__ = ["Webhook", "WebhookSettings", "sign", "verify"]
