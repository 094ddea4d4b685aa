"""Lambda's entry point of the senders' operations; import `senders.app` everywhere else."""

from __future__ import annotations

import gc

# Everything allocated during import lives for the life of the process, so the collector is off until
# Handler.prepare(). Saves about 5 % of a cold start (docs/performance.md#cold-init).
gc.disable()

from snapshot_restore_py import register_before_snapshot  # noqa: E402

from senders.app import create_handler  # noqa: E402

handler = create_handler()
# SnapStart takes its snapshot with the client connected; nothing in it is unique or bound to a moment.
register_before_snapshot(handler.prepare)
