"""The suites come from edgeferry's checkout, whose ``tests`` folder is on the import path."""

import pytest

pytest.register_assert_rewrite("conformance", "device_ends")
