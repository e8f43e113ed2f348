"""Find out whether pyiceberg can be used, before anything imports it: its import reads its configuration."""

from __future__ import annotations

from lexport.aws.errors import one_line
from lexport.errors import SettingsError


def need_pyiceberg() -> None:
    """Raise SettingsError where the extra is not installed, or where its configuration cannot be read."""
    try:
        import pyiceberg.catalog  # noqa: F401 - reads the configuration
        import sqlalchemy  # noqa: F401 - only looked for
        from pyiceberg.utils.config import Config

        Config().get_known_catalogs()
    except ImportError:
        raise SettingsError(
            "publish to Iceberg needs the extra [iceberg]; run: pip install 'lexport[iceberg]'", option="FORMAT"
        ) from None
    except Exception as error:
        raise SettingsError(
            f"the configuration of pyiceberg (.pyiceberg.yaml, or variables PYICEBERG_…) cannot be read:"
            f" {one_line(str(error))}",
            option="--catalog",
        ) from error
