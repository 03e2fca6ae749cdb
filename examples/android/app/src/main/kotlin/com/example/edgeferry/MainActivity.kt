package com.example.edgeferry

import android.net.Uri
import android.os.Bundle
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.activity.result.contract.ActivityResultContracts
import java.io.IOException
import java.util.concurrent.Executors

/** Asks for a picture and tells what it shows; a touch asks for the next. */
class MainActivity : ComponentActivity() {
    private val worker = Executors.newSingleThreadExecutor()
    private lateinit var classifier: Classifier // the worker's alone
    private lateinit var view: TextView
    private val picker = registerForActivityResult(ActivityResultContracts.GetContent()) { picture ->
        if (picture != null) worker.execute { show(answersFor(picture)) }
    }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        worker.execute { classifier = Classifier.fromAsset(this, "model.tflite") }
        view = TextView(this)
        view.setOnClickListener { picker.launch("image/*") }
        setContentView(view)
        show("Touch to choose a picture")
    }

    override fun onDestroy() {
        worker.execute { classifier.close() }
        worker.shutdown()
        super.onDestroy()
    }

    private fun answersFor(picture: Uri): String {
        val bitmap = try {
            decode(contentResolver, picture, classifier.contract)
        } catch (error: IOException) {
            return "This is no picture: ${error.message}"
        }
        val answers = classifier.classify(bitmap)
        return answers.joinToString("\n") { "%.1f %%  %s".format(100 * it.score, it.label) }
    }

    private fun show(text: String) = runOnUiThread { view.text = text }
}
