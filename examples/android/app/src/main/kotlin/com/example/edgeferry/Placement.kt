package com.example.edgeferry

import kotlin.math.max
import kotlin.math.min
import kotlin.math.round

/** Along one axis: the picture from [low] to [high] fills [length] pixels of the input. */
class Span(val low: Float, val high: Float, val start: Int, val length: Int) {
    /** How many pixels of the picture become one. */
    val shrink: Double get() = (high - low).toDouble() / length
}

/** What part of a picture the network sees, and where in its input that lands. */
class Placement(val x: Span, val y: Span) {
    /** How far a JPEG decoder may shrink the picture first, and leave enough to scale well. */
    val sampleSize: Int
        get() = listOf(8, 4, 2).find { it * LEFT_TO_SCALE <= min(x.shrink, y.shrink) } ?: 1

    companion object {
        private const val LEFT_TO_SCALE = 1.4

        /** By the contract's rule, for an upright picture of this size. */
        fun of(contract: Contract, width: Int, height: Int): Placement {
            val picture = intArrayOf(width, height)
            val input = intArrayOf(contract.width, contract.height)
            val spans = when (contract.method) {
                "shorter" -> centered(picture, input, contract.cropRatio)
                "squash" -> input.indices.map { Span(0f, picture[it].toFloat(), 0, input[it]) }
                "pad" -> fitted(picture, input)
                else -> throw IllegalArgumentException("unknown method ${contract.method}")
            }
            return Placement(spans[0], spans[1])
        }

        /** Scaled until it covers the input divided by the crop ratio; its center is cut out. */
        private fun centered(picture: IntArray, input: IntArray, cropRatio: Double): List<Span> {
            val ratios = input.indices.map { round(input[it] / cropRatio) / picture[it] }
            val scale = max(ratios[0], ratios[1])
            return input.indices.map {
                val scaled = max(round(picture[it] * scale).toInt(), input[it])
                val start = (scaled - input[it]) / 2
                val perPixel = picture[it].toDouble() / scaled
                val high = min((start + input[it]) * perPixel, picture[it].toDouble())
                Span((start * perPixel).toFloat(), high.toFloat(), 0, input[it])
            }
        }

        /** The whole picture in the middle, black around it. */
        private fun fitted(picture: IntArray, input: IntArray): List<Span> {
            val ratios = input.indices.map { input[it].toDouble() / picture[it] }
            val scale = min(ratios[0], ratios[1])
            return input.indices.map {
                val length = max(1, round(picture[it] * scale).toInt())
                Span(0f, picture[it].toFloat(), (input[it] - length) / 2, length)
            }
        }
    }
}
