package com.example.edgeferry

import java.nio.ByteBuffer
import kotlin.math.PI
import kotlin.math.abs
import kotlin.math.cos
import kotlin.math.max
import kotlin.math.min
import kotlin.math.sin

/** An upright picture. */
interface Picture {
    val width: Int
    val height: Int

    /** Pixels of one row, as ARGB. */
    fun row(y: Int): IntArray
}

/**
 * Fills [input] with a picture by the contract's rule: uint8, rows of RGB or of grays.
 *
 * The filters take all pixels that they shrink into one, as Pillow's do and
 * `Bitmap.createScaledBitmap` does not: the network sees what it saw when it was judged.
 */
fun fill(input: ByteBuffer, picture: Picture, contract: Contract) {
    val place = Placement.of(contract, picture.width, picture.height)
    val across = weights(place.x, picture.width, contract.interpolation)
    val down = weights(place.y, picture.height, contract.interpolation)
    val top = down.first().first
    val rows = (top..down.last().last).map { scaledRow(picture.row(it), across, contract.channels) }
    for (i in 0 until input.capacity()) input.put(i, 0)
    for (y in down.indices) {
        val start = ((place.y.start + y) * contract.width + place.x.start) * contract.channels
        for (i in rows[0].indices) {
            input.put(start + i, down[y].mix { rows[it - top][i].toInt() and 255 })
        }
    }
}

private fun scaledRow(pixels: IntArray, across: List<Weights>, channels: Int): ByteArray {
    for (i in pixels.indices) {
        val color = onWhite(pixels[i])
        pixels[i] = if (channels == 1) gray(color) shl 16 else color
    }
    val row = ByteArray(across.size * channels)
    for (channel in 0 until channels) {
        val shift = 16 - 8 * channel
        for (x in across.indices) {
            row[x * channels + channel] = across[x].mix { pixels[it] shr shift and 255 }
        }
    }
    return row
}

/** What is transparent shows white. */
private fun onWhite(argb: Int): Int {
    val alpha = argb ushr 24
    if (alpha == 255) return argb
    val mixed = listOf(16, 8, 0).map { 255 - (255 - (argb shr it and 255)) * alpha / 255 shl it }
    return mixed.sum()
}

private fun gray(rgb: Int): Int {
    val (red, green, blue) = listOf(16, 8, 0).map { rgb shr it and 255 }
    return (red * 19595 + green * 38470 + blue * 7471 + 32768) shr 16
}

/** How much each of the picture's pixels from [first] on counts for one of the input's. */
class Weights(val first: Int, val shares: FloatArray) {
    val last: Int get() = first + shares.size - 1

    inline fun mix(value: (Int) -> Int): Byte {
        var sum = 0.5f
        for (i in shares.indices) sum += shares[i] * value(first + i)
        return sum.toInt().coerceIn(0, 255).toByte()
    }
}

private fun weights(span: Span, size: Int, interpolation: String): List<Weights> {
    val filter = requireNotNull(FILTERS[interpolation]) { "unknown filter $interpolation" }
    val stretch = if (interpolation == "nearest") 1.0 else max(span.shrink, 1.0)
    val reach = filter.support * stretch
    return List(span.length) {
        val center = span.low + (it + 0.5) * span.shrink
        val first = max((center - reach + 0.5).toInt(), 0)
        val end = min((center + reach + 0.5).toInt(), size)
        val shares = (first until end).map { i -> filter.at((i - center + 0.5) / stretch) }
        val whole = shares.sum()
        Weights(first, FloatArray(shares.size) { i -> (shares[i] / whole).toFloat() })
    }
}

private class Filter(val support: Double, val at: (Double) -> Double)

private val BOX = Filter(0.5) { x -> if (x > -0.5 && x <= 0.5) 1.0 else 0.0 }

private val FILTERS = mapOf(
    "nearest" to BOX,
    "box" to BOX,
    "bilinear" to Filter(1.0) { x -> max(1 - abs(x), 0.0) },
    "hamming" to Filter(1.0) { x -> within(1.0, x) { sinc(x) * (0.54 + 0.46 * cos(PI * x)) } },
    "bicubic" to Filter(2.0) { x -> within(2.0, x) { cubic(abs(x)) } },
    "lanczos" to Filter(3.0) { x -> within(3.0, x) { sinc(x) * sinc(x / 3) } }
)

private fun within(support: Double, x: Double, value: () -> Double): Double =
    if (abs(x) < support) value() else 0.0

private fun sinc(x: Double): Double = if (x == 0.0) 1.0 else sin(PI * x) / (PI * x)

private fun cubic(x: Double): Double =
    if (x < 1) (1.5 * x - 2.5) * x * x + 1 else ((-0.5 * x + 2.5) * x - 4) * x + 2
