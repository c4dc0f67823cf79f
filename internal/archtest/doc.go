// Package archtest holds no code: its tests hold the map in ARCHITECTURE.md
// against what the packages import, and the house rules against their source.
package archtest
