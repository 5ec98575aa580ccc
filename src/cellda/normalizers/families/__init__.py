"""What normalizers share: the bases that members derive from."""
