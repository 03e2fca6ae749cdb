package com.google.mediapipe.tasks.components.containers;

public abstract class Category {
    public abstract String categoryName();

    public abstract float score();
}
