"""The city's devices: gateways as MQTT clients, NB-IoT modules as CoAP clients, all simulated.

>>> from simulators.devices import CoapTarget, MqttTarget, run_city
"""

from simulators.devices.coap import CoapTarget
from simulators.devices.mqtt import MqttTarget
from simulators.devices.run import Clock, run_city

__all__ = ["Clock", "CoapTarget", "MqttTarget", "run_city"]
