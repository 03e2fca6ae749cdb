package com.example.edgeferry

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.json.JSONObject

/** What an edgeferry `.tflite` says of itself: the input, the resize rule, the labels. */
class Contract(json: JSONObject) {
    val task: String = json.getString("task")
    val classes: Int = json.getInt("classes")

    /** One per class; null where the network came without. */
    val labels: List<String>? =
        json.optJSONArray("labels")?.let { all -> List(all.length()) { all.getString(it) } }

    private val input = json.getJSONObject("input")
    val width: Int = input.getInt("width")
    val height: Int = input.getInt("height")

    /** 3 is RGB, 1 is grayscale. */
    val channels: Int = input.getInt("channels")

    /** Pictures per inference; null is any number. */
    val batch: Int? = if (input.isNull("batch")) null else input.getInt("batch")

    private val resize = input.getJSONObject("resize")

    /** `shorter`, `squash` or `pad`. */
    val method: String = resize.getString("method")
    val cropRatio: Double = resize.getDouble("crop_ratio")
    val interpolation: String = resize.getString("interpolation")

    fun label(index: Int): String = labels?.get(index) ?: index.toString()

    companion object {
        private const val NAME = "edgeferry_contract"
        private const val NEWEST = 4
        private const val BUFFERS = 4
        private const val METADATA = 6

        /** Reads it from a whole `.tflite`. */
        fun of(model: ByteBuffer): Contract {
            val json = JSONObject(text(model.duplicate().order(ByteOrder.LITTLE_ENDIAN)))
            val schema = json.getInt("schema")
            require(schema <= NEWEST) { "the contract has schema $schema, newer than $NEWEST" }
            return Contract(json)
        }

        /** The metadata buffer of that name. */
        private fun text(data: ByteBuffer): String {
            require(data.getInt(4) == 0x334C4654) { "this is no .tflite" } // TFL3
            val model = Table(data, data.getInt(0))
            val entry = model.tables(METADATA).find { String(it.bytes(0)) == NAME }
            requireNotNull(entry) { "this .tflite is not edgeferry's: it holds no contract" }
            return String(model.tables(BUFFERS)[entry.int(1)].bytes(0))
        }
    }
}

/** A table of the flatbuffer that a `.tflite` is; fields by their numbers in TFLite's schema. */
private class Table(private val data: ByteBuffer, private val position: Int) {
    fun int(field: Int): Int = at(field)?.let(data::getInt) ?: 0

    fun tables(field: Int): List<Table> {
        val start = vector(field) ?: return emptyList()
        return List(data.getInt(start)) {
            val slot = start + 4 + 4 * it
            Table(data, slot + data.getInt(slot))
        }
    }

    fun bytes(field: Int): ByteArray {
        val start = vector(field) ?: return ByteArray(0)
        return read(start + 4, data.getInt(start))
    }

    private fun vector(field: Int): Int? = at(field)?.let { it + data.getInt(it) }

    private fun at(field: Int): Int? {
        val fields = position - data.getInt(position)
        val slot = 4 + 2 * field
        if (slot >= data.getShort(fields)) return null
        val offset = data.getShort(fields + slot).toInt()
        return if (offset == 0) null else position + offset
    }

    private fun read(start: Int, size: Int): ByteArray {
        val bytes = ByteArray(size)
        val from = data.duplicate()
        from.position(start)
        from.get(bytes)
        return bytes
    }
}
