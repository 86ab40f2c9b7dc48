"""Other rules and another registry while running: checked whole, then changed by one record.

``apply_site`` is what every way shares: signal, page, command line, a watched folder.
"""

from lifeline.reload.apply import Applied, apply_site
from lifeline.reload.folder import reload_folder

__all__ = ["Applied", "apply_site", "reload_folder"]
