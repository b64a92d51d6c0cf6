"""What helpers at the door see."""
