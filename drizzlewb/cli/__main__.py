"""``python -m drizzlewb.cli`` is ``drizzlewb``."""

from drizzlewb.cli.entry import main

raise SystemExit(main())
