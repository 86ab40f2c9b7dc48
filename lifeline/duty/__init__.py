"""What a shift on duty needs: its times, its report, its hand-over, the tests that fall due."""
