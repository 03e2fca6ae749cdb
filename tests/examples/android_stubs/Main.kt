package com.example.edgeferry

import android.content.ContentResolver
import android.content.Context
import android.content.res.AssetManager
import android.graphics.Bitmap
import java.io.DataInputStream
import java.io.File
import org.json.JSONArray
import org.json.JSONObject
import org.tensorflow.lite.Interpreter

/** An app whose assets are the files of a folder. */
private class App(private val folder: File) : Context() {
    override fun getAssets() = AssetManager(folder)

    override fun getContentResolver(): ContentResolver = throw UnsupportedOperationException()
}

/** Classifies `picture` with `model.tflite`, as if the network answered `probabilities`. */
fun main(arguments: Array<String>) {
    val folder = File(arguments[0])
    Interpreter.answer = DataInputStream(File(folder, "probabilities").inputStream()).use { file ->
        FloatArray(file.available() / 4) { file.readFloat() }
    }
    val bitmap = DataInputStream(File(folder, "picture").inputStream().buffered()).use { file ->
        val (width, height) = List(2) { file.readInt() }
        val colors = IntArray(width * height) { file.readInt() }
        Bitmap.createBitmap(colors, width, height, Bitmap.Config.ARGB_8888)
    }
    val classifier = Classifier.fromAsset(App(folder), "model.tflite")
    val answers = classifier.classify(bitmap, 3)
    val input = ByteArray(Interpreter.given.remaining())
    Interpreter.given.get(input)
    File(folder, "input").writeBytes(input)
    val place = Placement.of(classifier.contract, bitmap.width, bitmap.height)
    File(folder, "told").writeText(told(classifier.contract, place, answers).toString())
    classifier.close()
}

private fun told(contract: Contract, place: Placement, answers: List<Answer>): JSONObject {
    val seen = listOf(place.x.low, place.y.low, place.x.high, place.y.high)
    return JSONObject()
        .put("labels", contract.labels?.let { JSONArray(it) } ?: JSONObject.NULL)
        .put("seen", JSONArray(seen))
        .put("sample_size", place.sampleSize)
        .put("answers", JSONArray(answers.map { JSONArray(listOf(it.index, it.label, it.score)) }))
}
