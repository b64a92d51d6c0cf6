"""Tests of holds, payments and the waiting list."""
