"""The settings of a run: frozen, checked once, the same from the command line and from Python."""

from lexport.settings.accounts import is_account_id as is_account_id
from lexport.settings.accounts import role_arn as role_arn
from lexport.settings.accounts import role_partition as role_partition
from lexport.settings.destination import Destination as Destination
from lexport.settings.destination import Encryption as Encryption
from lexport.settings.packages import PackageSettings as PackageSettings
from lexport.settings.packages import Qualifiers as Qualifiers
from lexport.settings.snapshot import ALL_REGIONS as ALL_REGIONS
from lexport.settings.snapshot import FLUSH_AFTER_S as FLUSH_AFTER_S
from lexport.settings.snapshot import GET_FUNCTION_RATE_PER_S as GET_FUNCTION_RATE_PER_S
from lexport.settings.snapshot import LIST_RATE_PER_S as LIST_RATE_PER_S
from lexport.settings.snapshot import NEWEST as NEWEST
from lexport.settings.snapshot import REFRESH_RESOURCES_AFTER as REFRESH_RESOURCES_AFTER
from lexport.settings.snapshot import RESUME_MAX_AGE as RESUME_MAX_AGE
from lexport.settings.snapshot import ChangesFrom as ChangesFrom
from lexport.settings.snapshot import EnvMode as EnvMode
from lexport.settings.snapshot import PoliciesFor as PoliciesFor
from lexport.settings.snapshot import SnapshotSettings as SnapshotSettings
from lexport.settings.snapshot import fingerprint_of as fingerprint_of
