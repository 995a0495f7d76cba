"""The regimes that ship, one TOML file each."""
