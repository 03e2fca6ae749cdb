package com.example.edgeferry

import android.content.Context
import android.graphics.Bitmap
import java.io.FileInputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.FileChannel
import org.tensorflow.lite.Interpreter

/** A class and how probable it is. */
data class Answer(val index: Int, val label: String, val score: Float)

/** Runs an edgeferry `.tflite`; many threads may share one, and take turns. */
class Classifier(model: ByteBuffer, threads: Int = 2) : AutoCloseable {
    val contract = Contract.of(model)

    init {
        require(contract.task == "classification") { "this network's task is ${contract.task}" }
        require((contract.batch ?: 1) == 1) { "it takes ${contract.batch} pictures at a time" }
    }

    private val interpreter = Interpreter(model, Interpreter.Options().setNumThreads(threads))
    private val input = // only buffers in native order are left at their beginning
        ByteBuffer.allocateDirect(contract.width * contract.height * contract.channels)
            .order(ByteOrder.nativeOrder())

    /** The most probable classes of an upright picture, best first. */
    @Synchronized
    fun classify(bitmap: Bitmap, count: Int = 5): List<Answer> {
        fill(input, BitmapPicture(bitmap), contract)
        val probabilities = arrayOf(FloatArray(contract.classes))
        interpreter.run(input, probabilities)
        return best(probabilities[0], count)
    }

    private fun best(scores: FloatArray, count: Int): List<Answer> =
        scores.indices.sortedByDescending { scores[it] }.take(count)
            .map { Answer(it, contract.label(it), scores[it]) }

    @Synchronized
    override fun close() = interpreter.close()

    companion object {
        /** Opens one of the app's assets, which must not be compressed in the APK. */
        fun fromAsset(context: Context, name: String, threads: Int = 2): Classifier {
            val model = context.assets.openFd(name).use { asset ->
                FileInputStream(asset.fileDescriptor).channel.use {
                    it.map(FileChannel.MapMode.READ_ONLY, asset.startOffset, asset.declaredLength)
                }
            }
            return Classifier(model, threads)
        }
    }
}

/** Not of `Bitmap.Config.HARDWARE`, whose pixels the processor cannot read. */
private class BitmapPicture(private val bitmap: Bitmap) : Picture {
    override val width = bitmap.width
    override val height = bitmap.height

    override fun row(y: Int): IntArray {
        val pixels = IntArray(width)
        bitmap.getPixels(pixels, 0, width, 0, y, width, 1)
        return pixels
    }
}
