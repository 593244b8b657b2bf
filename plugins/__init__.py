"""The engines, front-ends and other parts that ship with voxgate. Each is an ordinary plugin, and a
package."""
