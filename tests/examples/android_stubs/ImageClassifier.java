package com.google.mediapipe.tasks.vision.imageclassifier;

import android.content.Context;
import com.google.mediapipe.framework.image.MPImage;
import com.google.mediapipe.tasks.vision.core.ImageProcessingOptions;

public abstract class ImageClassifier implements AutoCloseable {
    public static ImageClassifier createFromFile(Context context, String modelPath) {
        return null;
    }

    public abstract ImageClassifierResult classify(MPImage image, ImageProcessingOptions options);

    @Override
    public void close() {}
}
